"""What is worth counting, said where it happens to whoever counts (todolist/observing/metrics.py).

Where nobody does, that costs a look at an empty list.
"""

from django.dispatch import Signal

# Its sender is the name of a metric without its prefix, its keywords are labels, and `amount`, 1 by default.
counted = Signal()
