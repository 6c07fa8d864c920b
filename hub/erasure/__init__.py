"""Personal data: erasing a customer in every place the hub keeps, keeping it erased, and retention by rule."""
