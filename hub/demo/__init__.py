"""`make demo`: stand-ins of three outside systems, the hub and Airflow, and one business day driven through them."""

from hub.demo.day import run_demo, stop_everything

__all__ = ["run_demo", "stop_everything"]
