"""For F14: a migration as in a next version of delivr, which only adds."""
