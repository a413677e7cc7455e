"""A fake that takes the place of the store with this name, in whose folder it is looked for."""
