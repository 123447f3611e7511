"""What a base can be made of."""
