from . import plots as plots
from .activations import ActivationViewer as ActivationViewer
from .bench import ScannerBench as ScannerBench
from .cohort import CohortViewer as CohortViewer
from .slices import SliceViewer as SliceViewer
