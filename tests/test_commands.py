"""What a job runs: the commands that SQL builds, in real shells."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import Engine

# Those that are here, each once: on Debian sh is dash.
FOUND = {os.path.realpath(path): name for name in ("sh", "bash", "dash") if (path := shutil.which(name))}
SHELLS = [*FOUND.values()]
SHELL_TEXT = st.characters(codec="utf-8", exclude_characters="\0")


@pytest.fixture(params=SHELLS)
def shell(request, tmp_path):
    """Run a command as a worker does: its exit code and output."""

    def run(command: str) -> tuple[int, str]:
        done = subprocess.run(
            [request.param, "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            timeout=30,
        )
        return done.returncode, done.stdout.decode()

    return run


def spec(engine, **job):
    """A job as it is stored."""
    engine.call(
        "wfg_put_workflow", p_workflow_id="wf", p_definition={"env": job.pop("top", {}), "jobs": {"a": job}}
    )
    return engine.query("select script, command, env from wfg.job_specs order by version_id desc limit 1")[0]


def command(engine, **job):
    return spec(engine, **job)["command"]


def steps(engine, *texts):
    return command(engine, steps=[{"run": text} for text in texts])


# --- text ---


def test_run_is_set_e_and_the_text_as_it_is(engine):
    made = spec(engine, run="make\nmake test  \n\n")
    assert made["script"] == made["command"] == "set -e\nmake\nmake test  \n\n"


def test_command_is_exports_and_script(engine):
    made = spec(engine, run="make", env={"B": "it's", "C": ""}, top={"A": "x", "B": "y"})
    assert made["env"] == {"A": "x", "B": "it's", "C": ""}
    assert made["script"] == "set -e\nmake"
    assert made["command"] == "export A='x'\nexport B='it'\\''s'\nexport C=''\nset -e\nmake"


def test_steps_are_subshells(engine):
    made = spec(
        engine, steps=[{"name": "One", "run": "a"}, {"id": "two", "run": "b", "env": {"X": 1}}, {"run": "c"}]
    )
    assert made["script"] == (
        "set -e\n"
        "(\nprintf '%s\\n' '=== One ==='\neval '\na'\n)\n"
        "(\nexport X='1'\nprintf '%s\\n' '=== two ==='\neval '\nb'\n)\n"
        "(\nprintf '%s\\n' '=== step 3 ==='\neval '\nc'\n)\n"
    )


# --- run ---


def test_run_stops_at_the_first_command_that_fails(engine, shell):
    assert shell(command(engine, run="echo one\n(exit 7)\necho two")) == (7, "one\n")


def test_run_ends_with_its_exit_code(engine, shell):
    assert shell(command(engine, run="echo one; exit 3")) == (3, "one\n")


def test_run_sees_the_variables_of_file_and_job(engine, shell):
    made = command(engine, run='echo "$A $B"', top={"A": "1", "B": "2"}, env={"B": "3"})
    assert shell(made) == (0, "1 3\n")


# --- steps ---


def test_steps_run_in_order_under_their_labels(engine, shell):
    made = command(engine, steps=[{"name": "One", "run": "echo 1"}, {"run": "echo 2"}])
    assert shell(made) == (0, "=== One ===\n1\n=== step 2 ===\n2\n")


@pytest.mark.parametrize(
    "failing",
    ["false", "echo no >&2; exit 1", "true\nfalse\ntrue", "false; true", "no-such-command-here; true"],
)
def test_first_step_that_fails_ends_the_job(engine, shell, failing):
    code, output = shell(steps(engine, "echo 1", failing, "echo 3"))
    assert code != 0
    assert output == "=== step 1 ===\n1\n=== step 2 ===\n"


def test_steps_end_with_the_exit_code_of_the_one_that_failed(engine, shell):
    assert shell(steps(engine, "exit 42", "exit 1"))[0] == 42


def test_exit_0_ends_its_step_only(engine, shell):
    assert shell(steps(engine, "exit 0\necho no", "echo yes")) == (0, "=== step 1 ===\n=== step 2 ===\nyes\n")


ENDINGS = {
    "comment": ("echo 1 # comment", "1\n"),
    "comment of D27": ("echo 1\n# the end", "1\n"),
    "backslash": ("echo 1 \\\n", "1\n"),
    "two backslashes": (r"echo 1 \\", "1 \\\n"),
    "ampersand": ("true &", ""),
    "semicolon": ("echo 1;", "1\n"),
    "quoted heredoc": ("cat <<'X'\n$HOME 'it'\nX\n", "$HOME 'it'\n"),
    "heredoc without a newline after it": ("cat <<X\n1\nX", "1\n"),
    "quotes": ("""echo "it's" 'a "b"'""", 'it\'s a "b"\n'),
    "leading dash": ("-x || echo 1", "1\n"),
    "carriage return": ("echo 1 # \r", "1\n"),
    "closing parenthesis in a comment": ("echo 1 # )", "1\n"),
    "variable named like ours": ("step=1; echo $step", "1\n"),
}


@pytest.mark.parametrize(("text", "output"), ENDINGS.values(), ids=ENDINGS)
def test_the_end_of_a_step_touches_nothing_after_it(engine, shell, text, output):
    assert shell(steps(engine, text, "echo next")) == (0, f"=== step 1 ===\n{output}=== step 2 ===\nnext\n")


@pytest.mark.parametrize(
    "text", ["echo '", 'echo "x', "(", ")", "if true; then", "echo 1\n}", "case x in", "`", "fi"]
)
def test_a_syntax_error_ends_the_job(engine, shell, text):
    code, output = shell(steps(engine, text, "echo next"))
    assert code != 0
    assert "next" not in output


def test_an_open_heredoc_swallows_nothing_after_it(engine, shell):
    code, output = shell(steps(engine, "cat <<X\n1\n", "echo next"))
    assert (code, output) == (0, "=== step 1 ===\n1\n=== step 2 ===\nnext\n")


def test_env_and_directory_of_a_step_end_with_it(engine, shell):
    made = command(
        engine,
        env={"A": "job"},
        steps=[
            {"run": 'cd /; export B=1; C=2; A=x; f() { :; }; echo "$A $E"', "env": {"E": "step"}},
            {"run": 'echo "$A [$B$C$E] $(pwd)"'},
        ],
    )
    code, output = shell(made)
    assert code == 0
    assert output.startswith("=== step 1 ===\nx step\n=== step 2 ===\njob [] ")
    assert not output.endswith(" /\n")


def test_env_of_a_step_wins(engine, shell):
    made = command(
        engine, env={"A": "job"}, steps=[{"run": 'echo "$A"', "env": {"A": "step"}}, {"run": 'echo "$A"'}]
    )
    assert shell(made) == (0, "=== step 1 ===\nstep\n=== step 2 ===\njob\n")


def test_label_is_only_text(engine, shell, tmp_path):
    made = command(engine, steps=[{"name": "it's $(touch x) `touch x` \\n %s\n'; touch x; '", "run": "true"}])
    assert shell(made) == (0, "=== it's $(touch x) `touch x` \\n %s\n'; touch x; ' ===\n")
    assert list(tmp_path.iterdir()) == []


def test_longest_script_still_fits_in_one_argument(engine, shell):
    text = "true " + "x" * (98304 - 5)
    assert shell(command(engine, run=text)) == (0, "")
    assert shell(steps(engine, text)) == (0, "=== step 1 ===\n")


# --- quoting ---


@pytest.fixture(scope="module")
def shared(new_database, template):
    engine = Engine(new_database(template))
    yield engine
    engine.close()


@given(st.text(SHELL_TEXT))
def test_any_text_is_one_word(shared, text):
    [row] = shared.query("select wfg.quote_shell(%s) as word", text)
    for name in SHELLS:
        done = subprocess.run(
            [name, "-c", f"printf %s {row['word']}"], capture_output=True, check=True, timeout=30
        )
        assert done.stdout == text.encode()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("env", "ENV"),
        ("my-input.v2", "MY_INPUT_V2"),
        ("größe", "GR__E"),
        ("ı", "_"),
        ("1st", "1ST"),
        ("a\nb", "A_B"),
        ("🚀", "_"),
        ("", ""),
    ],
)
def test_names_become_variables(engine, name, made):
    assert engine.query("select wfg.env_name(%s) as name", name) == [{"name": made}]
