"""The recipe's training section as transformers' TrainingArguments."""

from submillion.recipe import load_recipe
from submillion.training.trainer import training_arguments


def test_the_papers_recipe_by_its_own_names(tmp_path):
    arguments = training_arguments(
        load_recipe("paper-r3-query-dense").training, tmp_path, seed=5, has_validation=True
    )
    assert arguments.get_warmup_steps(1000) == 60
    assert arguments.lr_scheduler_type == "cosine"
    assert (arguments.learning_rate, arguments.weight_decay, arguments.label_smoothing_factor) == (
        3e-4,
        0.01,
        0.1,
    )
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (16, 2)
    assert arguments.per_device_eval_batch_size == 64
    assert arguments.num_train_epochs == 10
    assert arguments.metric_for_best_model == "accuracy"
    assert arguments.seed == 5
    assert arguments.fp16 is False  # there is no GPU here; `train` says so
    assert arguments.report_to == []


def test_trackers_pass_through(tmp_path):
    training = load_recipe(report_to=("tensorboard", "wandb")).training
    assert training_arguments(training, tmp_path, seed=5, has_validation=False).report_to == [
        "tensorboard",
        "wandb",
    ]


def test_mixed_precision_is_the_recipes_and_not_the_launchers(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    arguments = training_arguments(load_recipe().training, tmp_path, seed=5, has_validation=False)
    assert arguments.mixed_precision == "no"
