"""What networks look like inside, before and after training, as findings and sentences."""
