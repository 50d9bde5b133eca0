"""From settings to an open dataset: what is taken from the cache, what is refused, and what is warned of."""

import numpy as np

from ordinal_blast.data import catalog, store
from ordinal_blast.types import Task


def dataset(groups, **labels):
    tasks = tuple(Task(name, ("C", "B", "A")) for name in labels)
    columns = {f"label/{name}": np.asarray(values, np.int32) for name, values in labels.items()}
    columns |= {"group": np.asarray(groups), "id": np.arange(len(groups)).astype(str)}
    return store.Dataset("eyes", tasks, "", "", "", "0", {}, columns, {})


def test_a_grade_that_a_split_by_groups_leaves_out_is_told_with_task_and_split():
    opened = dataset(
        np.repeat(np.arange(10), 4), icm=np.repeat([0, 1, 1, 1, 2, 2, 2, 2, 2, 2], 4), te=[0, 1, 2, -1] * 10
    )
    split = catalog.divide(opened, {"by": "group", "fractions": (0.6, 0.2, 0.2), "seed": 0})
    missing = {
        name: [k for k in range(3) if k not in opened.columns["label/icm"][rows]] for name, rows in split.items()
    }
    assert sum(map(len, missing.values())) >= 2  # one patient has all C, so two sets lack it
    expected = [
        f"grade {'CBA'[k]} of task icm has no example in the {name} split: "
        for name, grades in missing.items()
        for k in grades
    ]
    found = catalog.absent_grades(opened, split, opened.tasks)
    assert [sentence[: len(start)] for sentence, start in zip(found, expected, strict=True)] == expected
    assert catalog.absent_grades(opened, split, opened.tasks[1:]) == []
