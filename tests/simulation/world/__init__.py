"""What stands on the machine: the shipped processes, applications, an operator, and bad weather."""
