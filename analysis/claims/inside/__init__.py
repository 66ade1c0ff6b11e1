"""What is seen inside networks, before training and after it, as findings and sentences."""
