"""The pages that subscribers see, served by ``publisher serve``. Holds no rules."""
