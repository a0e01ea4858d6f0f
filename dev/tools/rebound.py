"""Names of a notebook that mean one thing in one cell and another thing in a later one.

A cell that is run a second time reads what the whole notebook has left behind. So a name that a
cell reads without setting it must be set in one cell only. Names that a cell sets itself before it
uses them may be used anew anywhere.
"""

import symtable
from collections.abc import Iterator

import nbformat


def rebound_names(notebook: nbformat.NotebookNode) -> list[str]:
    """A line per name that several cells set, and another cell reads without setting it."""
    used = {cell.id: names_of(cell.source) for cell in notebook.cells if cell.cell_type == "code"}
    every_name = set().union(*(bound for bound, _ in used.values()))
    found = []
    for name in sorted(every_name):
        setters = [cell for cell, (bound, _) in used.items() if name in bound]
        readers = [cell for cell, (bound, read) in used.items() if name in read - bound]
        if len(setters) > 1 and readers:
            found.append(f"{name} is set in {', '.join(setters)}, and read in {', '.join(readers)}")
    return found


def names_of(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell sets, and those that it or a function in it reads.

    >>> bound, read = names_of("a = 1\\ndef f(b):\\n    return a + b + c")
    >>> sorted(bound), sorted(read)
    (['a', 'f'], ['a', 'c'])
    """
    cell = symtable.symtable(source, "cell", "exec")
    bound = set()
    read = set()
    for symbol in cell.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            bound.add(symbol.get_name())
        if symbol.is_referenced():
            read.add(symbol.get_name())
    for function in tables_below(cell):
        for symbol in function.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                read.add(symbol.get_name())
    return bound, read


def tables_below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """The tables of all functions and classes in a table, inner ones too."""
    for child in table.get_children():
        yield child
        yield from tables_below(child)
