"""The operator's page: an application of its own inside Airflow's API server, behind Airflow's login and roles."""
