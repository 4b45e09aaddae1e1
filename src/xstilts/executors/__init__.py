"""Executors: who builds stages. Durability is the store's; an executor only decides what is built where and when."""
