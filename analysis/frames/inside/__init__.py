"""What networks look like inside, before and after training, as frames."""
