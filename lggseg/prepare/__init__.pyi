from . import scanner as scanner
