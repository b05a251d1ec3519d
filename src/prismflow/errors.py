"""The one exception that carries a sentence for the user."""


class InputError(Exception):
    """Something the user supplied is wrong.

    The message is one clear sentence: what was expected, what was found, in which file and line,
    and what to do. Jobs and the workflow print it without a traceback.
    """
