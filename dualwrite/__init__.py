"""Move a live DynamoDB application from one table design to another without stopping it."""
