"""Many runs: the sweeper, Slurm, and what the command line says to a mistake."""
