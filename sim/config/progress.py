"""What a long call tells its caller as it goes on; a library function never prints."""

from collections.abc import Callable

#: Called with the share done (0 to 1) and what is being done.
Progress = Callable[[float, str], None]
#: Called with how many are done, and of how many.
Counted = Callable[[int, int], None]
