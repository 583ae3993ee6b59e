"""The world behind the ports: DynamoDB over the wire, the control table, Prometheus."""
