"""Chinese, Arabic, Hindi, emoji and combining marks through the whole flow, with tokenizers of the kinds of XLM-R and RoBERTa."""

import json
import random
import shutil
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

import submillion
from submillion.cli.main import main
from submillion.data import load_splits

WORDS = {
    "体育": [
        "比赛",
        "球队",
        "进球",
        "冠军",
        "مباراة",
        "فريق",
        "هدف",
        "كأس",
        "खेल",
        "टीम",
        "गोल",
        "कप",
        "⚽",
        "🏆",
    ],
    "تجارة": [
        "股市",
        "银行",
        "利率",
        "市场",
        "بنك",
        "سوق",
        "سعر",
        "أسهم",
        "बैंक",
        "बाज़ार",
        "दाम",
        "शेयर",
        "💰",
        "📉",
    ],
    "विज्ञान 🔬": [
        "火箭",
        "行星",
        "实验",
        "月球",
        "صاروخ",
        "كوكب",
        "تجربة",
        "قمر",
        "रॉकेट",
        "ग्रह",
        "प्रयोग",
        "चाँद",
        "🚀",
        "🌕",
    ],
}
FILLER = [
    "今天",
    "昨天",
    "的",
    "在",
    "اليوم",
    "من",
    "في",
    "على",
    "आज",
    "कल",
    "में",
    "का",
    "naïve",
    "café",
    "👩\u200d👩\u200d👧",
    "❤️",
]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]


def rows_of(n: int, seed: int = 0) -> list[tuple[str, str]]:
    draw, rows = random.Random(seed), []
    for index in range(n):
        label = list(WORDS)[index % 3]
        words = draw.sample(WORDS[label], 3) + draw.choices(FILLER, k=draw.randint(2, 8))
        draw.shuffle(words)
        rows.append((("" if index % 2 else " ").join(words) + str(index), label))
    return rows


def _tokenizer(kind: str) -> Tokenizer:
    texts = [text for text, _ in rows_of(300, 1)]
    if kind == "xlm-roberta":  # SentencePiece's Unigram
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" ", "▁")])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=300, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False
        )
    else:  # RoBERTa's BPE over bytes
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=SPECIALS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture(scope="module", params=["xlm-roberta", "roberta"])
def encoder(request, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = _tokenizer(request.param)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", model_max_length=64, model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(str(folder))  # fmt: skip
    config = AutoConfig.for_model(
        request.param, vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=70, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        AutoModel.from_config(config).save_pretrained(str(folder))
    return str(folder)


def test_train_predict_evaluate(encoder, tmp_path, capsys):
    pd.DataFrame(rows_of(150), columns=["text", "label"]).to_csv(tmp_path / "بيانات.csv", index=False)
    pd.DataFrame(rows_of(60, 2), columns=["text", "label"]).to_csv(tmp_path / "测试.csv", index=False)
    run = tmp_path / "run"
    main(["train", "--train", str(tmp_path / "بيانات.csv"), "--test", str(tmp_path / "测试.csv"), "--output", str(run),
          "--model", encoder, "--num-train-epochs", "5", "--learning-rate", "5e-3"])  # fmt: skip
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["data"]["label_names"] == sorted(WORDS)
    capsys.readouterr()
    main(["evaluate", str(run), "--data", str(tmp_path / "测试.csv"), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["accuracy"]["value"] > 0.45
    assert report["baselines"][1]["accuracy"]["value"] > 0.8, (
        "TF-IDF reads words and characters of these scripts"
    )
    page = Path(report["output"], "report.html").read_text(encoding="utf-8")
    assert all(label in page for label in WORDS)
    assert '<q dir="auto">' in page
    main(
        [
            "predict",
            str(run),
            "--input",
            str(tmp_path / "测试.csv"),
            "--output",
            str(tmp_path / "labels.jsonl"),
        ]
    )
    lines = [
        json.loads(line) for line in (tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    labels = [line["label"] for line in lines]
    assert set(labels) <= set(WORDS)
    assert labels == submillion.predict(run, [text for text, _ in rows_of(60, 2)])
    right = sum(label == row[1] for label, row in zip(labels, rows_of(60, 2), strict=True))
    assert right / 60 == pytest.approx(report["accuracy"]["value"])
    shutil.rmtree(run)


def test_composed_and_decomposed_texts_are_the_same_text():
    accents = ["café", "naïve", "है", "की", "खेल", "がギ", "Ångström", "ﬁne", "한국어", "مَرْحَبًا"]
    rows = [(f"{text} {index}", "ab"[index % 2]) for index, text in enumerate(accents)]
    decomposed = [(unicodedata.normalize("NFD", text), label) for text, label in rows]
    assert any(text != other for (text, _), (other, _) in zip(rows, decomposed, strict=True))
    repeated = load_splits([*rows, *decomposed])
    assert f"{len(rows)} rows repeat an earlier row's text" in " ".join(repeated.notes)
    held_out = load_splits(rows, test=[unicodedata.normalize("NFD", text) for text, _ in rows[:3]])
    assert held_out.n_left_out == 3


def test_right_to_left_marks_and_joiners_make_other_texts():
    plain, marked = "مرحبا", "مرحبا\u200f"
    splits = load_splits([(plain, "a"), (marked, "b"), ("👩‍👧", "a"), ("👩👧", "b")])
    assert not [note for note in splits.notes if "repeat" in note]
