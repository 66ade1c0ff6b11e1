"""What depth does to a network before training, and what each block contributes after training."""
