class Unavailable(Exception):
    """What this machine lacks, and the mend, in a sentence: the tests are skipped with it."""
