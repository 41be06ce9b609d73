from __future__ import annotations

import pytest
from chat_server import serving
from generate_models import make_chat, make_t5

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.expand.writers import ChatWriter, ExpansionChat, LocalSettings, LocalWriter
from pyserini_xqg.generate.openai_client import ChatClient

TOPICS = [Passage("1", "", "w1 w2 w3"), Passage("2", "", "w5"), Passage("3", "", "w1 w2 w3")]


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return str(make_t5(tmp_path_factory.mktemp("t5")))


def test_a_model_of_ones_own(t5):
    writer = LocalWriter(LocalSettings(t5, max_new_tokens=12), "cpu")
    found = writer.write("passage", TOPICS, "te", 2)
    assert [len(texts) for texts in found] == [2, 2, 2]
    assert found[0] != found[2]  # the noise is the topic's
    alone = LocalWriter(LocalSettings(t5, max_new_tokens=12), "cpu")
    assert alone.write("passage", TOPICS[1:2], "te", 1) == [found[1][:1]]
    other = LocalWriter(LocalSettings(t5, max_new_tokens=12, seed=1), "cpu")
    assert other.write("passage", TOPICS, "te", 2) != found


def test_each_kind_has_its_prompt_and_sampling(t5):
    writer = LocalWriter(LocalSettings(t5, max_new_tokens=12), "cpu")
    once = writer.write("translation", TOPICS, "te", 1)
    assert once[0] == once[2]  # greedy, so that the noise is nothing
    paraphrase = writer.write("paraphrase", TOPICS, "te", 1)
    assert paraphrase != once
    assert writer.write("translation", TOPICS, "te", 1) == once  # as before, on the same model
    own = LocalWriter(
        LocalSettings(t5, template="Translate to {lang}: {passage}", top_k=1, max_new_tokens=12),
        "cpu",
    )
    assert own.write("paraphrase", TOPICS, "te", 1) == once


def test_a_chat_model_of_ones_own(tmp_path):
    template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    writer = LocalWriter(LocalSettings(str(make_chat(tmp_path, template)), max_new_tokens=6), "cpu")
    # What ends in a colon, as random text may, is taken for an introduction.
    assert 1 < len(writer.write("passage", TOPICS[:1], "fi", 3)[0]) <= 3


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(XqgError, match="no such model folder"):
        LocalWriter(LocalSettings(str(tmp_path / "x")), "cpu").write("passage", TOPICS, "te", 1)


def test_a_chat_server(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def answer(body, number):
        content = body["messages"][-1]["content"]
        if content.startswith("long"):
            return "I think.\nANSWER:\n" + "word " * 99 + "word"
        if content.startswith("w5"):
            return "ఒకటి\nab cd"  # never in the right script
        lines = "ఒకటి\nరెండు" if "2 different" in content else "ఒకటి"
        return f"I think.\nANSWER:\n{lines}" if "ANSWER:" in content else lines

    with serving(answer) as server:
        client = ChatClient(server.url, tmp_path / "cache.sqlite", backoff=0.01)
        writer = ChatWriter(ExpansionChat("m", "chain-of-thought passage", attempts=2), client)
        assert writer.write("passage", TOPICS, "te", 2) == [["ఒకటి", "రెండు"], [], ["ఒకటి", "రెండు"]]
        assert writer.usage.failed == {"te": 1}
        assert "1 topics failed: te 1" in writer.usage.lines("topics failed")
        assert writer.write("translation", TOPICS[:1], "te", 1) == [["ఒకటి"]]
        assert "translate" in server.requests[-1]["messages"][0]["content"]
        long = writer.write("passage", [Passage("9", "", "long")], "en", 1)
        assert len(long[0][0]) == 499  # more than a generated query may have
        client.close()
    with pytest.raises(XqgError, match="--preset 'x passage' is none of zero-shot passage,"):
        ExpansionChat("m", "x passage")
