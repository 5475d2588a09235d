"""Telling malignant tumours from benign ones: the pipeline that `typedflow demo` runs."""
