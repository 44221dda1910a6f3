"""From a snapshot to a judged model: the pipeline, its evaluation and the gate."""
