"""The reader of workflow files: what becomes of the text, where its parts stand, how bad text is refused."""

import json
import time
from pathlib import Path

import pytest
from wfg.workflow_file import Problem, WorkflowFile, WorkflowFileError, parse_workflow, read_workflow_file

SAMPLES = Path(__file__).parents[1] / "workflows"


def read(text: str | bytes, name: str = "ci.yml") -> WorkflowFile:
    return parse_workflow(Path(name), text.encode() if isinstance(text, str) else text)


def refused(text: str | bytes, name: str = "ci.yml") -> str:
    with pytest.raises(WorkflowFileError) as caught:
        read(text, name)
    return str(caught.value)


# --- YAML 1.2 ---


def test_yaml_1_2_words_are_strings():
    file = read("on: push\nenv: {A: yes, B: no, C: off, D: on, E: y}\n")
    assert json.loads(file.definition) == {
        "on": "push",
        "env": {"A": "yes", "B": "no", "C": "off", "D": "on", "E": "y"},
    }


def test_yaml_1_1_is_not_read_even_when_a_directive_asks_for_it():
    assert read("%YAML 1.1\n---\non: yes\n").definition == '{"on":"yes"}'


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1.10", "1.10"),
        ("8080", "8080"),
        ("-0.50", "-0.50"),
        ("1e5", "1e5"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ("True", "true"),
        ("FALSE", "false"),
        ("null", "null"),
        ("~", "null"),
        ("", "null"),
        ("007", '"007"'),
        ("0x1F", '"0x1F"'),
        ("0o7", '"0o7"'),
        ("+1", '"+1"'),
        (".5", '".5"'),
        ("1_000", '"1_000"'),
        (".inf", '".inf"'),
        ("12:30", '"12:30"'),
        ("2026-01-01", '"2026-01-01"'),
        ("'1.10'", '"1.10"'),
        ('"true"', '"true"'),
        ("!!str 1.10", '"1.10"'),
        ("! 5", '"5"'),
        ('!!int "5"', "5"),
        ('"\\ud83d\\ude00 é"', '"😀 é"'),
        ("|\n  a\n  b\n", '"a\\nb\\n"'),
    ],
)
def test_a_scalar_goes_out_as_it_was_written(written: str, expected: str):
    assert read(f"a: {written}").definition == f'{{"a":{expected}}}'


def test_keys_are_their_source_text_in_the_order_of_the_file():
    file = read("z: 1\n1: 2\n1.0: 3\ntrue: 4\n~: 5\na: 6\n")
    assert list(json.loads(file.definition)) == ["z", "1", "1.0", "true", "~", "a"]


def test_anchors_and_merge_keys_are_expanded():
    file = read(
        "base: &base {retries: 1, labels: [a]}\n"
        "jobs:\n"
        "  one: {<<: *base, retries: 2}\n"
        "  two:\n"
        "    run: x\n"
        "    <<: [*base, {retries: 9, timeout: 3}]\n"
        "  three: {'<<': plain}\n"
    )
    jobs = json.loads(file.definition)["jobs"]
    assert jobs["one"] == {"retries": 2, "labels": ["a"]}
    assert jobs["two"] == {"run": "x", "retries": 1, "labels": ["a"], "timeout": 3}
    assert next(iter(jobs["two"])) == "run"
    assert jobs["three"] == {"<<": "plain"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 'ci.yml:3: duplicate key "a"; it stands in line 1 already'),
        ("a: {x: 1,\n x: 2}\n", 'ci.yml:2: duplicate key "x"; it stands in line 1 already'),
        ("a: &x {k: 1, <<: *y}\n", "ci.yml:1: no anchor &y above this alias"),
        ("a:\n - &x [*x]\n", "ci.yml:2: *x stands inside its own anchor, so it would contain itself"),
        ("a: &x {b: {c: *x}}\n", "ci.yml:1: *x stands inside its own anchor, so it would contain itself"),
        ("a: 1\n---\nb: 2\n", "ci.yml:2: a second document starts here; a file holds one workflow"),
        ("a: 1\n[b]: 2\n", "ci.yml:2: a key is a word, not a list or a mapping"),
        ("a: {<<: 5}\n", "ci.yml:1: << takes a mapping, or a list of mappings"),
        ("a: !secret b\n", 'ci.yml:1: the tag "!secret" does not fit "b"; leave it out'),
        ("a: !!set {b}\n", 'ci.yml:1: the tag "tag:yaml.org,2002:set" is unknown; leave it out'),
        ("", "ci.yml:1: the file is empty"),
        ("# nothing\n", "ci.yml:1: the file is empty"),
        ('a: "x\\0y"\n', "ci.yml:1: a NUL character, which Postgres cannot store"),
        ('a: 1\nb: "\\ud800"\n', "ci.yml:2: half a surrogate pair, which is no character"),
        ("a: 1\nb: x\0y\n", "ci.yml:2:5: the character U+0000 is not allowed in YAML"),
    ],
)
def test_what_is_no_workflow_document_is_refused_with_its_line(text: str, message: str):
    assert refused(text) == message


@pytest.mark.parametrize(
    ("text", "place"),
    [("a:\n\tb: 1\n", "ci.yml:2:1: "), ("a: [1, 2\n", "ci.yml:2:1: "), ("a: b\n c: d\n", "ci.yml:2:3: ")],
)
def test_a_syntax_error_has_line_and_column(text: str, place: str):
    assert refused(text).startswith(place)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("a:\n\tb: 1\n", "(Indent by spaces.)"),
        ("a: echo b: c\n", "(A text with a colon and a space takes quotes.)"),
        ("a: @b\n", "(A text that begins with @, ` or % takes quotes.)"),
        ("a:\n  b:\n    c: 1\n   d: 2\n", "begin in the same column.)"),
        ("a: 1\nb\nc: 2\n", "(A key ends with a colon and a space.)"),
    ],
)
def test_a_usual_mistake_has_advice(text: str, advice: str):
    assert refused(text).endswith(advice)


# --- bytes, sizes, depths ---


def test_bytes_that_are_not_utf8_are_refused_with_their_place():
    assert refused(b"a: 1\nb: x\xffy\n") == "ci.yml:2:5: the byte 0xff is not UTF-8"


def test_a_byte_order_mark_is_no_text():
    assert read(b"\xef\xbb\xbfa: 1\n").definition == '{"a":1}'


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "a: [", '{"a":'])
@pytest.mark.parametrize("name", ["ci.yml", "ci.json"])
def test_deep_nesting_is_refused_and_quickly(opening: str, name: str):
    message = refused(opening * 50_000, name)
    assert "Traceback" not in message
    assert message.startswith(name)


@pytest.mark.parametrize("bracket", "[{")
def test_brackets_that_may_start_a_key_are_not_read_on_for(bracket: str):
    """The scanner looks for the colon after them, and took 100 times as long as for the dashes of lists."""

    def secs(text: str) -> float:
        began_at = time.process_time()
        assert "nested more than 100 levels deep" in refused(text)
        return time.process_time() - began_at

    assert min(secs(bracket * 1000) for _ in range(3)) < 20 * min(secs("- " * 1000) for _ in range(3))


def test_nesting_by_aliases_is_refused():
    chain = "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))
    assert "nested more than 100 levels deep" in refused(f"a0: &a0 [x]\n{chain}")


def test_an_alias_bomb_is_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "too large with its aliases expanded" in refused(bomb)


def test_a_merge_bomb_is_refused():
    bomb = "a: &a {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}\n"
    bomb += "".join(f"b{n}: {{<<: *a}}\n" for n in range(2000))
    assert "too large with its merge keys expanded" in refused(bomb)


def test_a_huge_file_is_refused_unread(tmp_path: Path):
    path = tmp_path / "ci.yml"
    path.write_bytes(b"a: b\n" * 2_000_000)
    with pytest.raises(WorkflowFileError, match="larger than 2 MiB"):
        read_workflow_file(path)


# --- JSON ---


def test_json_keeps_order_and_the_text_of_numbers():
    text = '{"on": "push",\n "z": [1.10, -0, 1e400, true, null, "\\ud83d\\ude00"], "<<": {"a": 1}}'
    expected = '{"on":"push","z":[1.10,-0,1e400,true,null,"😀"],"<<":{"a":1}}'
    assert read(text, "ci.json").definition == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "a": 2}', 'ci.json:2: duplicate key "a"; it stands in line 1 already'),
        ('{"a": 1,}', "ci.json:1:9: a key in double quotes is missing"),
        ('{\n"a" 1}', "ci.json:2:5: : is missing"),
        ("[1 2]", "ci.json:1:4: , or ] is missing"),
        ('{"a": NaN}', "ci.json:1:7: a value is missing, or is no JSON"),
        ("{} {}", "ci.json:1:4: the document ends before this"),
        ('"abc', "ci.json:1:1: Unterminated string starting"),
        ('"\\u0000"', "ci.json:1: a NUL character, which Postgres cannot store"),
        ("", "ci.json:1: the file is empty"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str, message: str):
    assert refused(text, "ci.json") == message


# --- lines ---


def test_paths_lead_to_lines():
    file = read(
        "name: x\n"
        "jobs:\n"
        "  build:\n"
        "    needs: [a,\n"
        "      b]\n"
        "  a.b[0]:\n"
        "    run: |\n"
        "      x\n"
        "  a:\n"
        "    env: {K: v}\n"
    )
    lines = {
        "": 1,
        "jobs": 2,
        "jobs.build": 3,
        "jobs.build.needs": 4,
        "jobs.build.needs[0]": 4,
        "jobs.build.needs[1]": 5,
        "jobs.build.needs[7]": 4,
        "jobs.build.retries": 3,
        "jobs.a.b[0].run": 7,
        "jobs.a.env.K": 10,
        "nothing.like.it": 1,
        "jobs.build.needs[x]": 4,
    }
    assert {path: file.line_of(path) for path in lines} == lines


def test_a_merged_value_is_found_where_it_is_written():
    file = read("base: &b\n  retries: -1\njobs:\n  one:\n    <<: *b\n")
    assert file.line_of("jobs.one.retries") == 2


def test_a_problem_is_shown_with_file_line_path_and_hint():
    file = read("jobs:\n  a:\n    needs: [b]\n")
    problem = Problem(path="jobs.a.needs[0]", message="there is no job b", hint="Did you mean a?")
    assert file.describe(problem) == "ci.yml:3: jobs.a.needs[0]: there is no job b (Did you mean a?)"
    assert file.describe(Problem(message="no jobs")) == "ci.yml:1: no jobs"


# --- files ---


def test_the_id_is_the_name_without_its_last_extension(tmp_path: Path):
    path = tmp_path / "ci.prod.yml"
    path.write_text("a: 1\n")
    assert read_workflow_file(path).workflow_id == "ci.prod"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.yml", "No such file"),
        (".", "ends in .yml"),
        ("x.txt", "ends in .yml"),
        ("a\0b.yml", "no name"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_plain_error(tmp_path: Path, name: str, message: str):
    with pytest.raises(WorkflowFileError, match=message):
        read_workflow_file(tmp_path / name)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.*")), ids=lambda path: path.name)
def test_samples_can_be_read_and_are_valid(engine, path: Path):
    file = read_workflow_file(path)
    answer = engine.call("wfg_validate_workflow", p_definition=file.definition)
    assert answer == {"valid": True, "problems": [], "warnings": []}
