"""Sweeps on a Slurm cluster, `hydra/launcher=slurm`: a run is a job, one element of a job array.

The client composes each job's configuration and submits it pickled (submit.py); a job runs it with the function that
every launcher calls (job.py). The name of an array in the queue says which runs its elements are (queue.py), so that a
repeated command finds what is pending or running. A job's outcome is read from its run folder (launcher.py).
"""
