"""The network, its data, the loop that trains it, and what is measured inside it."""
