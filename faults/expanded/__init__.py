"""A migration as the next version of delivr would bring it, for F14: it only adds."""
