"""Can two kinds of requests be told apart by how long their answers take? It knows nothing of any case.

    interop/told_apart.py        tries the test itself on made-up times

The machine is shared with whatever else runs on it, so that single times say little: it compares medians, with their error
from the order of the samples, and ranks (Mann and Whitney's test), and believes neither alone.
"""

import math
import random
import statistics

# What nobody sees across a network, in seconds.
UNSEEN = 50e-6
# As many standard errors as are passed once in 370 times, and once in 1000 (both sides).
OF_MEDIANS, OF_RANKS = 3.0, 3.29


def error_of_median(samples):
    """The standard error of the median, whatever the distribution."""
    ordered = sorted(samples)
    middle, half = len(ordered) / 2, math.sqrt(len(ordered)) / 2
    return (ordered[min(round(middle + half), len(ordered) - 1)] - ordered[max(round(middle - half) - 1, 0)]) / 2


def rank_score(first, second):
    """By how many standard deviations the ranks of `first` lie above those of `second`."""
    ordered = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = place = 0
    while place < len(ordered):
        last = place
        while last + 1 < len(ordered) and ordered[last + 1][0] == ordered[place][0]:
            last += 1
        mean = (place + last) / 2 + 1
        ranks += mean * sum(1 for value in ordered[place : last + 1] if value[1] == 0)
        place = last + 1
    m, n = len(first), len(second)
    above = ranks - m * (m + 1) / 2
    return (above - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)


def told_apart(first, second):
    """The difference of the medians when it is real, else 0: it is beyond its error, and it is big or in the ranks too."""
    difference = statistics.median(first) - statistics.median(second)
    error = math.hypot(error_of_median(first), error_of_median(second))
    in_ranks = abs(rank_score(first, second)) > OF_RANKS
    is_real = abs(difference) > OF_MEDIANS * error and (abs(difference) > UNSEEN or in_ranks)
    return difference if is_real else 0


def shown(first, second):
    """Both in microseconds, for people."""
    one, other = (statistics.median(samples) * 1e6 for samples in (first, second))
    error = math.hypot(error_of_median(first), error_of_median(second)) * 1e6
    return f"medians {one:.0f} and {other:.0f} us, error of the difference {error:.1f} us, ranks {rank_score(first, second):+.1f}"


def tries_itself():
    """Fails when the test would find nothing, or finds what is not there."""
    source = random.Random(7)
    # As answers take: most of them alike, a few much longer.
    times = lambda more: [more + 7e-4 + source.expovariate(1e4) + 5e-3 * (source.random() < 0.05) for _ in range(250)]
    wrong = sum(1 for _ in range(100) if told_apart(times(0), times(0)))
    assert wrong < 3, f"of 100 pairs that are alike {wrong} are told apart"
    assert all(told_apart(times(1e-4), times(0)) > 0 for _ in range(20)), "a tenth of a millisecond is found"


if __name__ == "__main__":
    tries_itself()
    print("ok")
