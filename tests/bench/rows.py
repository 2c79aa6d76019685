"""The rows of the table, in its order."""

from tests.bench.backlog import Backlog
from tests.bench.disk import Disk
from tests.bench.doors import Http, HttpMemory, HttpWait
from tests.bench.pairs import Cold, Connections, Held, Pairs
from tests.bench.prune import Prune
from tests.bench.row import Row
from tests.bench.shapes import Batch, Flat, Graphs, Wide
from tests.bench.starts import Start
from tests.bench.waiting import Bursts, Due, Wakeups

ROWS: tuple[type[Row], ...] = (
    Pairs,
    Batch,
    Graphs,
    Wide,
    Flat,
    Start,
    Backlog,
    Due,
    Held,
    Prune,
    Cold,
    Wakeups,
    Bursts,
    Connections,
    Disk,
    Http,
    HttpWait,
    HttpMemory,
)
