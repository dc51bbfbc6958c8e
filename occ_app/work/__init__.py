"""Background work: a *task* is a registered name plus a shop and only says "look at this shop now".

What is due stands in the tables of the packages; losing a task costs time, never correctness. Only this package knows Procrastinate (the
queue in the same database) and APScheduler (the clock that defers tasks which merge).
"""
