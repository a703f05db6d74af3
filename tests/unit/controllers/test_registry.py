from pathlib import Path
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.hello_world import HelloWorld
from controllers.ingest_csv import IngestCsv
from controllers.registry import Registry
from core.errors import ConfigurationError, UnknownJobTypeError
from tests.support.sample_jobs import TASK_TYPE, counted, sample_job


def test_every_shipped_job_type_is_registered() -> None:
    assert "hello_world" in Registry().job_types


def test_an_unknown_job_type_is_answered_with_the_known_ones() -> None:
    registry = Registry([sample_job(counted(1)), HelloWorld])
    with pytest.raises(UnknownJobTypeError) as caught:
        registry.controller("nope")
    assert caught.value.known == ("hello_world", "sample")


def test_a_task_type_is_found_by_name() -> None:
    registry = Registry([sample_job(counted(1))])
    declared = registry.task_type(TASK_TYPE)
    assert declared is not None
    assert declared.policy.max_attempts == 3
    assert registry.task_type("nope") is None


def test_two_job_types_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="job type 'hello_world' is registered twice"):
        Registry([HelloWorld, HelloWorld])


def test_two_task_types_of_one_name_are_refused() -> None:
    class Other(HelloWorld):
        job_type = "other"

    with pytest.raises(ConfigurationError, match=r"task type 'hello_world\.greet' is registered twice"):
        Registry([HelloWorld, Other])


def test_a_job_type_that_lacks_all_is_refused_with_the_names_of_all_that_it_lacks() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Registry([type("Bare", (lockstep.JobController,), {})])
    assert "Bare is not complete: it lacks job_type, Parameters, stages, task_types, create_stage_tasks;" in str(
        caught.value
    )
    assert "JobController[...]" in str(caught.value)


@pytest.mark.parametrize("name", ["job_type", "stages", "task_types"])
def test_a_job_type_that_lacks_one_thing_is_refused_with_its_name(name: str) -> None:
    complete = {"job_type": "sample", "stages": (lockstep.StageSpec("only"),), "task_types": ()}
    given = {**complete, "Parameters": lockstep.JobParameters, "create_stage_tasks": lambda *_: ()}
    Registry([type("Whole", (lockstep.JobController,), given)])

    del given[name]
    with pytest.raises(ConfigurationError, match=f"the job type Partial is not complete: it lacks {name}$"):
        Registry([type("Partial", (lockstep.JobController,), given)])


def test_the_migrations_of_the_job_types_are_found() -> None:
    (directory,) = Registry([HelloWorld, IngestCsv]).migrations
    assert sorted(path.name for path in directory.glob("*.sql")) == [
        "ingest_csv.0001.ingested_rows.sql",
        "ingest_csv.0002.tables.sql",
    ]


def migrating(directory: Path) -> type[lockstep.JobController[Any]]:
    class Migrating(HelloWorld):
        job_type = "word.count"
        migrations = directory

    return Migrating


@pytest.mark.parametrize(
    "name",
    [
        "0001.words.sql",
        "other.0001.words.sql",
        "wordscount.0001.words.sql",
        "word.count.1.words.sql",
        "word.count.0001.sql",
        "word.count.0001.words.rollback.sql",
        "word.count.0001.words.py",
        "word.count.0002.words.SQL",
        "word.count.0002.words.sql.bak",
        "__init__.py",
        "notes.txt",
    ],
)
def test_a_migration_bears_its_job_type_and_a_number_in_its_name(tmp_path: Path, name: str) -> None:
    tmp_path.joinpath("word.count.0001.words.sql").touch()
    assert Registry([migrating(tmp_path)]).migrations == [tmp_path]

    tmp_path.joinpath(name).touch()
    with pytest.raises(ConfigurationError) as caught:
        Registry([migrating(tmp_path)])
    assert str(tmp_path / name) in str(caught.value)
    assert "word.count.0001.what_it_does.sql" in str(caught.value)


def test_a_hidden_file_among_migrations_is_left_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("word.count.0001.words.sql").touch()
    tmp_path.joinpath(".word.count.0001.words.sql.swp").touch()
    assert Registry([migrating(tmp_path)]).migrations == [tmp_path]


def test_a_directory_of_migrations_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"job type word\.count has no migrations in .*/none"):
        Registry([migrating(tmp_path / "none")])


@pytest.mark.parametrize("count", [0, 100])
def test_a_job_type_has_1_to_99_stages(count: int) -> None:
    with pytest.raises(ConfigurationError, match="1 to 99 stages"):
        Registry([sample_job(counted(1), stages=(lockstep.StageSpec("one of many"),) * count)])
