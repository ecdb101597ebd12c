import pytest

from submillion.data import read_rows, stream_rows
from submillion.errors import DataError


def refused(path, **kwargs):
    with pytest.raises(DataError) as caught:
        read_rows(path, **kwargs)
    message = str(caught.value)
    assert message.startswith(str(path)), message
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_csv(write):
    path = write("a.csv", 'id,text,label\n1,"a, ""b""\nc",pos\n2,NA,neg\n3,null,None\n')
    rows = read_rows(path)
    assert rows.texts == ['a, "b"\nc', "NA", "null"]
    assert rows.labels == ["pos", "neg", "None"]
    assert rows.row_numbers == [0, 1, 2]
    assert (rows.label_names, rows.source, rows.notes) == (None, str(path), ())


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbftext,label\na,1\nb,2", b"text,label\r\na,1\r\n\r\nb,2\r\n"]
)
def test_csv_with_mark_or_windows_lines(write, content):
    rows = read_rows(write("a.csv", content))
    assert (rows.texts, rows.labels) == (["a", "b"], ["1", "2"])


def test_several_text_columns_are_joined(write):
    path = write("a.csv", "title,description,class\nA,b,x\n,c,y\n")
    rows = read_rows(path)
    assert rows.texts == ["A b", "c"]
    assert rows.notes == (f"{path}: the text is 'title' + 'description'.",)
    assert read_rows(path, text_columns=["description", "title"]).texts == ["b A", "c"]


def test_rows_with_an_empty_text_are_left_out_and_counted(write):
    path = write("a.csv", "text,label\na,1\n  ,2\n,\nb, 2 \n")
    rows = read_rows(path)
    assert (rows.texts, rows.labels, rows.row_numbers) == (["a", "b"], ["1", "2"], [0, 3])
    assert rows.notes == (
        f"{path}: 2 rows with an empty text left out (first row 2).",
        f"{path}: 1 row with white space around the label, which was taken off (row 4).",
    )


@pytest.mark.parametrize("need", ["never", "optional"])
def test_rows_to_predict_are_all_kept(write, need):
    path = write("a.csv", "text,id\na,1\n,2\nb,3\n")
    rows = read_rows(path, labels=need)
    assert (rows.texts, rows.labels, rows.row_numbers) == (["a", "", "b"], None, [0, 1, 2])
    assert rows.notes == (f"{path}: 1 row with an empty text kept (row 2).",)


def test_a_blank_line_is_a_row_in_a_file_of_one_column(write):
    rows = read_rows(write("a.csv", "text\na\n\nb\n"), labels="never")
    assert (rows.texts, rows.row_numbers) == (["a", "", "b"], [0, 1, 2])


def test_never_does_not_look_at_labels(write):
    content = b"text,label\na,\xff\xfe\nb,\n"
    assert read_rows(write("a.csv", content), labels="never").texts == ["a", "b"]


def test_an_empty_label_column_is_none_where_labels_are_optional(write):
    path = write("a.csv", "text,label\na,\nb,\n")
    assert read_rows(path, labels="optional").labels is None


def test_labels_that_begin_late(write):
    path = write("a.csv", "text,label\na,\nb,\nc,x\nd,y\n")
    with pytest.raises(DataError, match="filled in only some of the rows \\(it changes near row 3\\)"):
        list(stream_rows(path, labels="optional", chunk_rows=2))


def test_streaming_is_reading_in_pieces(write):
    path = write(
        "a.csv", "text,label\n" + "".join(f"t{i},{i % 3}\n" if i % 7 else ",x\n" for i in range(100))
    )
    whole, pieces = read_rows(path), list(stream_rows(path, chunk_rows=9))
    assert max(len(piece.texts) for piece in pieces) <= 9
    assert [x for piece in pieces for x in piece.texts] == whole.texts
    assert [x for piece in pieces for x in piece.labels] == whole.labels
    assert [x for piece in pieces for x in piece.row_numbers] == whole.row_numbers
    assert [piece.notes for piece in pieces[:-1]] == [()] * (len(pieces) - 1)
    assert pieces[-1].notes == whole.notes == (f"{path}: 15 rows with an empty text left out (first row 1).",)


def test_tsv(write):
    rows = read_rows(write("a.tsv", 'label\tsentence\nx\t"a\tb"\ny\tc\n'))
    assert (rows.texts, rows.labels, rows.notes) == (["a\tb", "c"], ["x", "y"], ())


def test_tsv_without_quoting_keeps_its_rows_apart(write):
    path = write("a.tsv", 'sentence\tlabel\n"never closed\t0\nplain\t1\n5" wide\t0\n')
    rows = read_rows(path)
    assert (rows.texts, rows.labels) == (['"never closed', "plain", '5" wide'], ["0", "1", "0"])
    assert rows.notes == (
        f"{path}: quotes are read as plain characters, since 2 lines hold one that is never closed.",
    )


AG = '"3","Oil up","Prices rose, ""again"", on Monday."\n"1","War","Peace talks go on in the city."\n'


def test_the_official_ag_news_form(write):
    path = write("train.csv", AG)
    rows = read_rows(path)
    assert rows.texts == ['Oil up Prices rose, "again", on Monday.', "War Peace talks go on in the city."]
    assert rows.labels == [3, 1]
    assert rows.row_numbers == [0, 1]
    assert read_rows(path, label_column="class", text_columns=["title"]).texts == ["Oil up", "War"]


@pytest.mark.parametrize("label", ["9", "", "World", "\udcff"])
def test_the_official_form_is_known_whatever_the_test_labels_are(write, label):
    content = AG.replace('"3"', f'"{label}"').replace('"1"', f'"{label}"').encode("utf-8", "surrogateescape")
    if label == "\udcff":  # not UTF-8 in a later row's label
        content = AG.replace('"1"', '"\udcff"').encode("utf-8", "surrogateescape")
    assert read_rows(write("a.csv", content), labels="never").texts == read_rows(write("b.csv", AG)).texts


def test_a_wrong_class_in_the_official_form(write):
    message = refused(write("a.csv", AG + '"5","x","y"\n'))
    assert message.startswith("the class of row 3 (rows are counted from 1) is not 1, 2, 3 or 4")


def test_a_quoted_header_is_no_ag_news_row(write):
    rows = read_rows(write("a.csv", '"1","text","label"\n"7","a","x"\n"8","b","y"\n'))
    assert (rows.texts, rows.labels) == (["a", "b"], ["x", "y"])


def test_ag_news(agnews):
    rows = read_rows(agnews / "test.csv")
    assert len(rows.texts) == 7600
    assert {label: rows.labels.count(label) for label in (1, 2, 3, 4)} == dict.fromkeys((1, 2, 3, 4), 1900)
    assert rows.texts[0].startswith("Fears for T N pension after talks Unions representing")
    assert len(read_rows(agnews / "train_text.csv", labels="never").texts) == 75_328


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty; it needs a header line with column names, then rows"),
        ("\n\n", "the file is empty; it needs a header line with column names, then rows"),
        ("text,label\n", "there are no rows; text is read from 'text': give rows with a text, or name another "
            "column with --text-columns"),
        ("text,label", "there are no rows; text is read from 'text': give rows with a text, or name another "
            "column with --text-columns"),
        ("text,label\n ,1\n", "every text is empty; text is read from 'text': give rows with a text, or name another "
            "column with --text-columns"),
        (
            "text,label\na,1\nb,2,3\nc\n",
            "row 2 (rows are counted from 1, below any header) has 3 fields where the first line has 2; "
            "quote fields that hold ',' or a line end, and close every quote",
        ),
        (
            "text,label\na,1,2\nb,2\n",
            "row 1 (rows are counted from 1, below any header) has 3 fields where the first line has 2; quote fields "
            "that hold ',' or a line end, and close every quote",
        ),
        (
            'text,label\na,1\n"b,2\nc,3\n',
            "row 2 (rows are counted from 1, below any header) has 1 field where the first line has 2; quote fields "
            "that hold ',' or a line end, and close every quote",
        ),
        (
            b"text,label\na,1\nb\xe9b,2\n",
            "not UTF-8: byte 16 (0xe9, line 3) cannot be decoded; the file is in another encoding. Save it as UTF-8, "
            "for example with iconv",
        ),
        (
            "text,label\na,1\n".encode("utf-16"),
            "not UTF-8: byte 0 (0xff, line 1) cannot be decoded; the file is in UTF-16. Save it as UTF-8, for example "
            "with iconv",
        ),
        (
            "text,label\na,1\n".encode("utf-16-le"),
            "not UTF-8: zero bytes in the first line, as in UTF-16. Save it as UTF-8",
        ),
        (
            "text,label,text\na,1,b\n",
            "column 'text' stands more than once; give every column its own name. Columns found: 'text', 'label', 'text'.",
        ),
        (
            "text,label\na,1\nb,\n",
            "label column 'label' is empty in row 2 (rows are counted from 1, below any header); give every row a "
            "label, or leave these rows out of the file",
        ),
        (
            "text;label\na;1\n",
            "the first line 'text;label' seems to be split by ';'; a .csv file is split by commas, a .tsv file by "
            "tabs. Convert or rename the file",
        ),
    ],
)  # fmt: skip
def test_bad_csv(write, content, message):
    assert refused(write("bad.csv", content)) == message


def test_a_row_of_many_megabytes(write):
    path = write("bad.csv", 'text,label\na,1\n"' + "word and word " * 700_000 + '",2\nc,3\n')
    assert refused(path) == (
        "one row takes more than 4 MiB; a quote that is never closed makes such rows. Close every quote, or shorten "
        "the text"
    )
    assert len(read_rows(write("good.csv", "text,label\n" + "word " * 700_000 + ",1\n")).texts[0]) > 3_000_000


TAB = "Name\tCategory\tText\tNotes\nstring\td\tstring\tstring\nmeta\tclass\tinclude=True\tmeta\n"


def test_tab_with_three_header_lines(write):
    rows = read_rows(write("a.tab", TAB + '\nn1\tx\t"a\tb"\tq\nn2\ty\tc\tq\n'))
    assert (rows.texts, rows.labels, rows.row_numbers) == (["a\tb", "c"], ["x", "y"], [0, 1])


def test_tab_where_the_blank_line_has_tabs_or_is_missing(write):
    body = "n1\tx\ta\t\nn2\ty\tb\t\n"
    for name, blank in (("a.tab", "\t\t\t\n"), ("b.tab", "")):
        rows = read_rows(write(name, TAB + blank + body))
        assert (rows.texts, rows.labels, rows.row_numbers) == (["a", "b"], ["x", "y"], [0, 1])


def test_tab_with_declared_values(write):
    rows = read_rows(
        write(
            "a.tab", "mood\tremark\ngood bad so\\ so\tstring\nclass\t\n\nbad\ta\ngood\tb\n".replace("\\ ", "")
        )
    )
    assert (rows.labels, rows.label_names, rows.label_values) == (
        ["bad", "good"],
        *[("good", "bad", "soso")] * 2,
    )
    assert rows.texts == ["a", "b"]


def test_tab_with_one_header_line(write):
    rows = read_rows(write("a.tab", "cD#mood\tmS#words\nx\ta\ny\tb\n"), text_columns=["words"])
    assert (rows.texts, rows.labels, rows.row_numbers) == (["a", "b"], ["x", "y"], [0, 1])
    assert read_rows(write("b.tab", "text\tlabel\na\tx\n")).texts == ["a"]


def test_tab_where_the_class_is_unknown(write):
    assert refused(write("a.tab", TAB + "n1\t?\ta\tb\nn2\tx\tb\tc\n")).startswith(
        "label column 'Category' is empty in row 1"
    )


@pytest.mark.parametrize(
    ("name", "n_rows", "n_classes"),
    [
        ("reuters-r8-train", 5485, 8),
        ("reuters-r8-test", 2189, 8),
        ("reuters-r52-train", 6532, 52),
        ("20newsgroups-test", 7528, 20),
        ("book-excerpts", 140, 2),
        ("grimm-tales", 54, 5),
        ("grimm-tales-selected", 44, 2),
        ("election-tweets-2016", 6444, 2),
        ("deerwester", 9, 2),
    ],
)
def test_installed_tab_files(orange, name, n_rows, n_classes):
    rows = read_rows(orange / f"{name}.tab")
    assert len(rows.texts) == n_rows
    assert len(set(rows.labels)) == n_classes
    assert rows.row_numbers == list(range(n_rows))
