"""Charts as SVG and HTML, for the report and MLflow."""
