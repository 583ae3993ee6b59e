"""Reading DynamoDB Streams: shards, their leases, and what is known of their progress."""
