"""The operator's page inside Airflow: how every flow stands, and what was refused and why."""
