"""The start of a host, and the errors that prevent it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.functions_host.errors import HostStartError
from local.functions_host.process import HostProcess
from tests.contract.functions_host.support import SAMPLE_APP
from tests.contract.functions_host.test_http import NO_BROKER

ROOT = Path(__file__).parents[3]


def write_app(directory: Path, code: str, host_json: str = '{"version": "2.0"}') -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "function_app.py").write_text(f"import azure.functions as func\napp = func.FunctionApp()\n{code}")
    (directory / "host.json").write_text(host_json)
    return directory


def start_error(app_dir: Path, **env: str) -> str:
    with pytest.raises(HostStartError) as error:
        HostProcess.start(app_dir, env=env)
    return str(error.value)


def test_the_list_of_functions_goes_to_standard_error_and_one_line_to_standard_output(tmp_path: Path) -> None:
    settings = {"EVENTS_FILE": str(tmp_path / "events"), "ONE_QUEUE": "queue-of-the-setting", "Broker": NO_BROKER}
    log = tmp_path / "host.log"
    with HostProcess.start(SAMPLE_APP, env=settings, log_file=log) as host:
        listed = log.read_text()
    assert f"items: [GET,POST] http://127.0.0.1:{host.http_port}/api/items/{{item_id}}" in listed
    assert "one: serviceBusTrigger queue-of-the-setting" in listed
    assert "every_five_minutes: timerTrigger 0 */5 * * * *" in listed


def test_a_topic_trigger_is_listed_with_its_subscription(tmp_path: Path) -> None:
    code = (
        "@app.service_bus_topic_trigger(arg_name='m', topic_name='%T%', subscription_name='%S%', connection='C')\n"
        "def f(m: func.ServiceBusMessage) -> None: ...\n"
    )
    log = tmp_path / "host.log"
    settings = {"C": NO_BROKER, "T": "orders", "S": "billing"}
    HostProcess.start(write_app(tmp_path / "app", code), env=settings, log_file=log).kill()
    assert "f: serviceBusTrigger orders/Subscriptions/billing" in log.read_text()


def test_a_port_in_use_is_one_clear_line_and_exit_code_1(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "local.functions_host", "--app-dir", str(app), "--port", port]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"The function app in {app} does not start: port {port} is already in use\n"


def test_an_error_of_the_app_is_shown_with_its_traceback(tmp_path: Path) -> None:
    error = start_error(write_app(tmp_path / "app", "import there_is_no_such_module\n"))
    assert "ModuleNotFoundError: No module named 'there_is_no_such_module'" in error
    assert "function_app.py" in error


def test_a_directory_without_an_app_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{}")
    assert "has no function_app.py" in start_error(tmp_path)


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    code = (
        "@app.service_bus_queue_trigger(arg_name='m', queue_name='%NO_SUCH%', connection='C')\n"
        "def f(m: func.ServiceBusMessage) -> None: ...\n"
    )
    assert "function f: '%NO_SUCH%' does not resolve" in start_error(write_app(tmp_path / "app", code))


def test_a_missing_connection_is_named(tmp_path: Path) -> None:
    code = (
        "@app.service_bus_queue_trigger(arg_name='m', queue_name='q', connection='NoSuch')\n"
        "def f(m: func.ServiceBusMessage) -> None: ...\n"
    )
    assert "the connection NoSuch has no setting" in start_error(write_app(tmp_path / "app", code))


def test_an_annotation_that_azure_refuses_is_refused(tmp_path: Path) -> None:
    code = (
        "@app.service_bus_queue_trigger(arg_name='m', queue_name='q', connection='C', cardinality='many')\n"
        "def f(m: list[func.ServiceBusMessage]) -> None: ...\n"
    )
    assert "function f: a serviceBusTrigger cannot be passed as list[" in start_error(
        write_app(tmp_path / "app", code), C=NO_BROKER
    )


def test_a_parameter_without_a_binding_is_refused(tmp_path: Path) -> None:
    code = "@app.route()\ndef f(req: func.HttpRequest, other: str) -> str: ...\n"
    assert "parameters ['other', 'req'] do not match" in start_error(write_app(tmp_path / "app", code))


def test_a_binding_this_host_does_not_have_is_refused(tmp_path: Path) -> None:
    code = "@app.blob_trigger(arg_name='m', path='p', connection='C')\ndef f(m: func.InputStream) -> None: ...\n"
    assert "function f: this host does not support bindings of type blobTrigger" in start_error(
        write_app(tmp_path / "app", code)
    )


def test_a_trigger_with_sessions_is_refused(tmp_path: Path) -> None:
    code = (
        "@app.service_bus_queue_trigger(arg_name='m', queue_name='q', connection='C', is_sessions_enabled=True)\n"
        "def f(m: func.ServiceBusMessage) -> None: ...\n"
    )
    assert "function f: this host does not support sessions" in start_error(
        write_app(tmp_path / "app", code), C=NO_BROKER
    )


def test_a_wrong_host_json_is_named(tmp_path: Path) -> None:
    host_json = json.dumps({"extensions": {"serviceBus": {"maxBatchWaitTime": "soon"}}})
    error = start_error(write_app(tmp_path / "app", "", host_json))
    assert "host.json is wrong: extensions.serviceBus.maxBatchWaitTime: 'soon' is not a time span" in error
