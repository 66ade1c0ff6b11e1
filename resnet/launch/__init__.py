"""Running sweeps: the sweeper, the Slurm launcher, and the command line's answers to mistakes."""
