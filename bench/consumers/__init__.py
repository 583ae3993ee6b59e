"""What the consumers and the sweep get done on one core, before a real engine on the other."""
