UPDATE hot SET available = available - 1 WHERE sku = 'HOT' AND available >= 1 RETURNING available;
