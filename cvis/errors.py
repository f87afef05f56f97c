"""The one exception for a user's mistake.

Everything a user can get wrong (a file, a field, a key, a name) ends in a :class:`UserError`. The command
line prints its text as one line and exits with code 2; nobody sees a traceback for a typing error.
"""


class UserError(Exception):
    """One line that names the file or key, the field, the offending value and the remedy."""
