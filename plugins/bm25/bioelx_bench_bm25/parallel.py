"""Applying one Java method to many Java objects in Java's own threads.

Calling Java from several Python threads is not safe: pyjnius keeps the receiver of a call in an object that
all threads share, so that a call can reach another thread's object. So the threads are Java's: a method
handle, seen as a `java.util.function.Function`, is mapped over a parallel stream inside a pool.
"""

from __future__ import annotations

from typing import Any

from bioelx_bench_bm25.java import import_class

HANDLES = "java.lang.invoke.MethodHandles"
METHOD_TYPE = "java.lang.invoke.MethodType"


def java_class(name: str) -> Any:
    """The `java.lang.Class` of a name."""
    return import_class("java.lang.Class").forName(name)


def search_function(searcher: Any, count: int) -> Any:
    """The Java function `query -> searcher.search(query, count)`."""
    integer = import_class("java.lang.Integer")
    kind = import_class(METHOD_TYPE).methodType(
        java_class("org.apache.lucene.search.TopDocs"),
        [java_class("org.apache.lucene.search.Query"), integer.TYPE],
    )
    handles = import_class(HANDLES)
    method = handles.publicLookup().findVirtual(
        java_class("org.apache.lucene.search.IndexSearcher"), "search", kind
    )
    return as_interface(
        handles.insertArguments(method.bindTo(searcher), 1, integer(count)), "java.util.function.Function"
    )


def as_interface(handle: Any, interface: str) -> Any:
    """A method handle as an object of a Java interface with one method."""
    import jnius

    made = import_class("java.lang.invoke.MethodHandleProxies").asInterfaceInstance(
        java_class(interface), handle
    )
    return jnius.cast(interface, made)


def map_in_pool(pool: Any, function: Any, items: Any) -> Any:
    """Apply a Java function to each item of a Java list; gives a Java list in the same order.

    Args:
        pool: A `java.util.concurrent.ForkJoinPool`; a parallel stream that ends in one of its threads uses
            its threads only.
        function: A `java.util.function.Function`.
        items: A `java.util.List`.
    """
    import jnius

    stream = jnius.cast("java.util.stream.Stream", items.parallelStream().map(function))
    kind = import_class(METHOD_TYPE).methodType(java_class("java.util.List"))
    finish = (
        import_class(HANDLES)
        .publicLookup()
        .findVirtual(java_class("java.util.stream.Stream"), "toList", kind)
    )
    return pool.submit(as_interface(finish.bindTo(stream), "java.util.concurrent.Callable")).get()
