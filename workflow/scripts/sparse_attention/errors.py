"""The one exception whose text is written for the user."""


class InputError(ValueError):
    """What a user gave cannot be used: the text names it, its value and what is allowed."""
