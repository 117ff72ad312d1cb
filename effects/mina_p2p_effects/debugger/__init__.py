"""Time travel in the terminal: `mina-p2p debug LOG`.

* `parts` says what states and actions are made of, in words.
* `outline` walks the actions as a tree by cause, of which any part can be folded.
* `changes` compares two states part by part, `state_rows` makes the lines of the state's tree.
* `action_list`, `state_tree` and `app` are the Textual widgets; they need the extra ``ui``.
"""
