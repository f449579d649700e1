"""How sure an answer is: distributions of table entries, draws from them, intervals."""
