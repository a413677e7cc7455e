"""`make run`: every process of delivr on one machine, from one command."""
