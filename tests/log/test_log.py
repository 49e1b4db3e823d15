import io
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import textwrap

import pytest
from structlog.processors import JSONRenderer

from buvar import log


@pytest.fixture
def python(forks):
    """Run code in a process of its own, and return it with its stderr as text."""

    def python(code, *, check=True, **options):
        done = forks.run(textwrap.dedent(code), **options)
        assert not check or done.returncode == 0, done.stderr
        return done

    return python


@pytest.fixture
def lines(python):
    """Run code and return the JSON objects that it wrote to stderr, one a line."""
    return lambda code: [json.loads(line) for line in python(code).stderr.splitlines()]


def test_structlog_and_stdlib_come_out_alike(lines):
    """An event of structlog and one of the standard library have the same fields in the same order."""
    ours, theirs = lines("""
        import logging, structlog
        from buvar import log
        log.setup_logging(level="info")
        structlog.get_logger("a.b").info("worker ready", seconds=1.5)
        logging.getLogger("a.b").info("worker %s", "ready", extra={"seconds": 1.5})
        logging.getLogger("a.b").debug("not seen")
    """)
    for event in (ours, theirs):
        assert event.pop("timestamp").endswith("Z")
        assert isinstance(event.pop("pid"), int)
    assert list(ours.items()) == list(theirs.items())
    assert ours == {"level": "info", "logger": "a.b", "event": "worker ready", "seconds": 1.5}


def test_the_logger_has_the_name_of_the_module(lines):
    """A logger without a name is called as the module that logs."""
    (event,) = lines("""
        import structlog
        from buvar import log
        log.setup_logging()
        structlog.get_logger().info("x")
    """)
    assert event["logger"] == "__main__"


def test_context_variables_are_merged_into_both(lines):
    """What is bound to structlog's context variables is in the lines of both kinds of loggers."""
    events = lines("""
        import logging, structlog
        from buvar import log
        log.setup_logging()
        structlog.contextvars.bind_contextvars(request="r1")
        structlog.get_logger("a").info("x")
        logging.getLogger("b").warning("y")
    """)
    assert [event["request"] for event in events] == ["r1", "r1"]


def test_levels_have_their_names(lines):
    """Every method of a logger, the old ones too, writes the level's one name."""
    events = lines("""
        import logging, structlog
        from buvar import log
        log.setup_logging(level="debug")
        for name in ("debug", "info", "warning", "warn", "error", "critical", "fatal", "exception"):
            getattr(structlog.get_logger("a"), name)("x")
        structlog.get_logger("a").log(20, "x")
        logging.getLogger("a").log(25, "x")
    """)
    assert [event["level"] for event in events] == [
        "debug", "info", "warning", "warning", "error", "critical", "critical", "error", "info", "level 25",
    ]  # fmt: skip


def test_positional_arguments_are_formatted(lines):
    """Positional arguments go into the event, be it a tuple or one dict, in both kinds of loggers."""
    events = lines("""
        import logging, structlog
        from buvar import log
        log.setup_logging()
        for logger in (structlog.get_logger("a"), logging.getLogger("b")):
            logger.info("%s and %d", "x", 2)
            logger.info("%(one)s", {"one": 1})
    """)
    assert [event["event"] for event in events] == ["x and 2", "1", "x and 2", "1"]


def test_arguments_that_do_not_fit_are_kept(lines):
    """A call with the wrong arguments raises nothing, and its line has both the message and the arguments."""
    events = lines("""
        import logging, structlog
        from buvar import log
        log.setup_logging()
        for logger in (structlog.get_logger("a"), logging.getLogger("b")):
            logger.info("%d of %d", "x")
    """)
    assert [(event["event"], event["positional_args"]) for event in events] == [("%d of %d", ["x"])] * 2


def test_reserved_keys_are_kept_beside(lines):
    """What a caller passes as level, logger, timestamp or event is kept under another key; pid is the caller's."""
    ours, theirs = lines("""
        import logging, structlog
        from buvar import log
        log.setup_logging()
        structlog.get_logger("a").info("x", level=1, logger=2, timestamp=3, pid=4)
        logging.getLogger("b").info("x", extra=dict(level=1, logger=2, timestamp=3, pid=4, event=5))
    """)
    assert ours["level"] == theirs["level"] == "info"
    assert theirs["extra_event"] == 5
    for event in (ours, theirs):
        assert event["event"] == "x"
        assert (event["extra_level"], event["extra_logger"], event["extra_timestamp"], event["pid"]) == (1, 2, 3, 4)


def test_exceptions_and_stacks_are_one_line(lines):
    """A traceback, a group of exceptions and a stack are text in a field of the one line."""
    events = lines("""
        import logging, structlog
        from buvar import log
        log.setup_logging()
        for logger in (structlog.get_logger("a"), logging.getLogger("b")):
            try:
                raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])
            except ExceptionGroup as error:
                logger.exception("failed")
                logger.error("failed", exc_info=error)
            logger.info("where", stack_info=True)
    """)
    for event in (events[0], events[1], events[3], events[4]):
        assert "several (2 sub-exceptions)" in event["exception"]
        assert "TypeError: two" in event["exception"]
    for event in (events[2], events[5]):
        assert event["stack"].startswith("Stack (most recent call last)")


def test_whatever_is_logged_is_valid_json(lines):
    """Values that no JSON has, or that cannot even be shown, raise nothing and lose no line."""
    events = lines("""
        import logging, structlog
        from buvar import log
        class Broken:
            def __repr__(self): raise RuntimeError
            __str__ = __repr__
        circle = {}
        circle["self"] = circle
        values = [b"\\xff", {1, 2}, {1: 2, None: 3}, circle, "\\ud800", float("nan")]
        values += [Broken(), ValueError("x"), 10**5000, "a\\nb"]
        log.setup_logging()
        for value in values:
            structlog.get_logger("a").info("x", value=value)
            structlog.get_logger("a").info(value)
            logging.getLogger("b").info("x", extra={"value": value})
            logging.getLogger("b").info(value)
            logging.getLogger("b").info("%s", value)
    """)
    assert len(events) == 50
    assert all(event["event"] is not None for event in events)


def test_the_console_is_for_people(python):
    """With tty the line is text in colour, and the traceback follows it without local variables."""
    done = python("""
        import structlog
        from buvar import log
        log.setup_logging(tty=True)
        password = "hunter2"
        try:
            1 / 0
        except ZeroDivisionError:
            structlog.get_logger("a").exception("failed", item=5)
    """)
    assert "\x1b[" in done.stderr
    assert "failed" in done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert done.stderr.count("hunter2") == 0


def test_the_console_takes_any_value_and_no_colour_is_a_wish(python):
    """A value that cannot be shown loses no line on the console either; NO_COLOR is heeded."""
    done = python(
        """
        import logging, structlog
        from buvar import log
        class Broken:
            def __repr__(self): raise RuntimeError
        log.setup_logging(tty=True)
        structlog.get_logger("a").info("one", value=Broken())
        logging.getLogger("b").info("two %d", "x", extra={"value": Broken()})
        """,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert "one" in done.stderr
    assert "two %d" in done.stderr
    assert "cannot be shown" in done.stderr
    assert "\x1b[" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_is_seen_when_the_config_is_made():
    """Whether stderr is a terminal is asked when a LogConfig is made, not when buvar is imported."""
    ours, theirs = pty.openpty()
    code = (
        "from buvar import log; import sys; print(log.LogConfig().tty); sys.stderr = None; print(log.LogConfig().tty)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, timeout=30, check=True)
    os.close(ours)
    os.close(theirs)
    assert done.stdout.split() == [b"True", b"False"]


def test_fields_by_position():
    """The fields stand in the order that upstream has."""
    renderer = JSONRenderer()
    config = log.LogConfig(True, "info", {}, False, True, renderer)
    assert (config.tty, config.level, config.user_config) == (True, "info", {})
    assert (config.capture_warnings, config.redirect_print, config.json_renderer) == (False, True, renderer)


@pytest.mark.parametrize("level", ["INFO", "info", " Info ", 20, "20"])
def test_a_level_is_a_name_or_a_number(level):
    """A level is a name in any case, or a number."""
    assert log.level_number(level) == 20


def test_a_wrong_level_is_named():
    """A level that there is not is refused at once, with those that there are."""
    with pytest.raises(ValueError, match=r"'loud' is no log level; write one of .*info.*warning"):
        log.LogConfig(level="loud")


def test_uncaught_exceptions_are_logged(python):
    """What ends the process or a thread, and what a __del__ raises, is one line each."""
    done = python(
        """
        import threading
        from buvar import log
        class Bad:
            def __del__(self): raise OSError("in del")
        log.setup_logging(level="error")
        Bad()
        thread = threading.Thread(target=lambda: 1 / 0, name="t1")
        thread.start()
        thread.join()
        threading.Thread(target=exit).start()
        raise ValueError("at the end")
        """,
        check=False,
    )
    assert done.returncode == 1
    in_del, in_thread, at_end = map(json.loads, done.stderr.splitlines())
    assert "OSError: in del" in in_del["exception"]
    assert in_thread["thread"] == "t1"
    assert "ZeroDivisionError" in in_thread["exception"]
    assert (at_end["level"], at_end["event"], at_end["logger"]) == ("critical", "uncaught exception", "sys.excepthook")
    assert "ValueError: at the end" in at_end["exception"]


def test_an_uncaught_exception_is_never_silent(python):
    """With a level above all, an uncaught exception is told by the interpreter."""
    done = python("from buvar import log; log.setup_logging(level=100); raise ValueError('told')", check=False)
    assert "ValueError: told" in done.stderr


def test_ctrl_c_is_left_to_the_interpreter(python):
    """KeyboardInterrupt ends the process as it does without us."""
    done = python("from buvar import log; log.setup_logging(); raise KeyboardInterrupt", check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stderr.startswith("Traceback")


def test_warnings_are_logged_if_asked(python, lines):
    """capture_warnings sends warnings through the chain, and without it they are printed as ever."""
    code = "import warnings; from buvar import log; log.setup_logging(capture_warnings={}); warnings.warn('old')"
    (event,) = lines(code.format(True))
    assert (event["logger"], event["level"]) == ("py.warnings", "warning")
    assert "UserWarning: old" in event["event"]
    assert "UserWarning: old" in python(code.format(False)).stderr.splitlines()[0]


def test_prints_are_logged_if_asked(python):
    """redirect_print makes each printed line an event, however it is written, and loses nothing at the end."""
    done = python("""
        import logging, sys
        from buvar import log
        log.setup_logging(redirect_print=True)
        print("one", 1)
        print("two", file=sys.stderr)
        sys.stdout.write("thr")
        sys.stdout.write("ee\\n\\nfour\\n")
        sys.stdout.writelines(["five\\n", "six\\n"])
        logging.getLogger("a").info("seven")
        print("last", end="")
    """)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    assert [event["event"] for event in events] == ["one 1", "two", "three", "four", "five", "six", "seven", "last"]
    assert [event["logger"] for event in events] == ["print"] * 6 + ["a", "print"]


def test_printing_inside_of_logging_does_not_circle(python):
    """A handler that prints, or fails and has that printed, writes to the real stream."""
    done = python("""
        import logging, sys
        from buvar import log
        class Chatty(logging.Handler):
            def emit(self, record):
                print("handling", file=sys.stderr)
                self.handleError(record)
        log.setup_logging(redirect_print=True)
        logging.getLogger("a").addHandler(Chatty())
        print("fine")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("a").info("x")
    """)
    assert '"event": "fine"' in done.stderr
    assert "handling" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_the_stand_in_behaves_like_a_stream():
    """The stand-in is no terminal, has the real file descriptor and buffer, and closing it closes nothing."""
    with open(os.devnull, "w") as real:
        stream = log.StdioToLog(None, stream=real)
        assert not stream.isatty()
        assert stream.writable()
        assert not stream.readable()
        assert stream.encoding == "utf-8"
        assert stream.fileno() == real.fileno()
        assert stream.buffer is real.buffer
        stream.close()
        assert not real.closed
    with pytest.raises(io.UnsupportedOperation):
        log.StdioToLog(None).fileno()


def test_child_processes_write_to_the_real_stream(python):
    """A child process that gets sys.stdout writes to what it stands in for."""
    done = python("""
        import subprocess, sys
        from buvar import log
        log.setup_logging(redirect_print=True)
        subprocess.run([sys.executable, "-c", "print('from a child')"], stdout=sys.stdout, check=True)
    """)
    assert done.stdout == "from a child\n"


def test_user_config_is_merged_deep(lines, tmp_path):
    """user_config changes single values of the set-up and adds to it; the caller's dict stays as it was."""
    path = tmp_path / "out.log"
    events = lines(f"""
        import logging
        from buvar import log
        config = {{
            "loggers": {{"quiet": {{"level": "ERROR"}}, "": {{"handlers": ["default", "file"]}}}},
            "handlers": {{
                "file": {{"class": "logging.FileHandler", "filename": {str(path)!r}, "formatter": "structured"}}
            }},
        }}
        before = repr(config)
        log.setup_logging(user_config=config, level="info")
        assert repr(config) == before
        logging.getLogger("quiet").info("not seen")
        logging.getLogger("other").info("seen")
    """)
    assert [event["event"] for event in events] == ["seen"]
    assert json.loads(pathlib.Path(path).read_text()) == events[0]


def test_the_default_handler_takes_another_stream(python):
    """user_config can send the default handler to stdout."""
    done = python("""
        import logging
        from buvar import log
        log.setup_logging(user_config={"handlers": {"default": {"stream": "ext://sys.stdout"}}}, redirect_print=True)
        log.setup_logging(user_config={"handlers": {"default": {"stream": "ext://sys.stdout"}}}, redirect_print=True)
        logging.getLogger("a").info("x")
        print("y")
    """)
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["x", "y"]
    assert done.stderr == ""


def test_a_renderer_of_ones_own(python):
    """json_renderer writes the lines, may return bytes, and is helped out when it cannot take a value."""
    done = python("""
        import json, structlog
        from structlog.processors import JSONRenderer
        from buvar import log
        def strict(obj, **_):
            return json.dumps({"mine": True, **obj}).encode()
        log.setup_logging(json_renderer=JSONRenderer(serializer=strict))
        structlog.get_logger("a").info("x", value=1)
        structlog.get_logger("a").info("x", value={1, 2})
        def never(obj, **_):
            raise TypeError
        log.setup_logging(json_renderer=JSONRenderer(serializer=never))
        structlog.get_logger("a").info("x", value=3)
    """)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event.get("mine") for event in events] == [True, True, None]
    assert [event["value"] for event in events] == [1, [1, 2], 3]


def test_set_up_again_takes_effect(python):
    """A later set-up changes loggers that were used before, leaves no second line, and takes the prints back."""
    done = python("""
        import logging, structlog, sys
        from buvar import log
        logger = structlog.get_logger("a")
        stdout = sys.stdout
        log.setup_logging(level="error", redirect_print=True)
        logger.info("not seen")
        log.setup_logging(level="info", redirect_print=True)
        logger.info("one")
        log.setup_logging(level="info")
        logger.info("two")
        assert sys.stdout is stdout
        print("printed")
        with structlog.testing.capture_logs() as captured:
            logger.info("captured")
        assert captured == [{"event": "captured", "log_level": "info"}]
    """)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["one", "two"]
    assert done.stdout == "printed\n"


def test_the_pid_is_right_after_a_fork(python):
    """A forked process logs its own pid through the loggers that it inherited."""
    done = python("""
        import os, structlog
        from buvar import log
        log.setup_logging()
        logger = structlog.get_logger("a")
        logger.info("parent", real=os.getpid())
        child = os.fork()
        if not child:
            logger.info("child", real=os.getpid())
            os._exit(0)
        os.waitpid(child, 0)
    """)
    parent, child = map(json.loads, done.stderr.splitlines())
    assert parent["pid"] == parent["real"] != child["pid"] == child["real"]


def test_a_process_without_stderr_goes_on(python):
    """Where there is no stderr at all, logging writes nothing and raises nothing."""
    python(
        "import sys, structlog; from buvar import log; sys.stderr = None; log.setup_logging(); "
        "structlog.get_logger('a').info('x')"
    )
