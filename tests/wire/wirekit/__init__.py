"""What the wire tests stand on: a real engine process, real SDK worker processes, and a stage to hear them on."""

from wirekit.engine_process import EngineProcess, free_port
from wirekit.node_process import NodeProcess
from wirekit.patience import PATIENCE_S, eventually
from wirekit.rest import Rest
from wirekit.stage import Signal, Stage
from wirekit.typescript_program import TypeScriptProgram
from wirekit.worker_process import StartWorker, WorkerProcess

__all__ = [
    "PATIENCE_S",
    "EngineProcess",
    "NodeProcess",
    "Rest",
    "Signal",
    "Stage",
    "StartWorker",
    "TypeScriptProgram",
    "WorkerProcess",
    "eventually",
    "free_port",
]
